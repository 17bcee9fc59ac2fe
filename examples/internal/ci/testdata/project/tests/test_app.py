import subprocess
import unittest


class TestApp(unittest.TestCase):
    def test_has_no_secrets(self):
        subprocess.run(["./scripts/secrets.sh", "unit-test"], check=True)
