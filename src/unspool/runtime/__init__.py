"""What a process needs below the mathematics: devices, compiled programs, files, random bits."""
