"""The compute module in Foundry: its environment, its calls, its run, and a stand-in server to develop against."""
