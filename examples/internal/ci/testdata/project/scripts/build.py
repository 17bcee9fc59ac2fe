import os
import subprocess
import zipapp

subprocess.run(["./scripts/secrets.sh", "build"], check=True)
os.makedirs("dist", exist_ok=True)
zipapp.create_archive("src", "dist/app.pyz", main="app:main")
