"""Monitoring: has the newest window of events left the one the model was trained on, scenario by scenario?"""
