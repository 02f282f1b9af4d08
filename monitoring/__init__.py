"""Monitoring: does the newest window of events differ from the one that the model was trained on, per scenario?"""
