def main():
    print("an app")
