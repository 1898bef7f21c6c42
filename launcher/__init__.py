"""What `./pilothouse` runs: it prepares this machine, then starts, tests or checks the console.

Standard library only, because it runs before anything is installed, and it imports neither the console nor the
engine room: it starts them as processes.
"""
