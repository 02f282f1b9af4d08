"""KFP components: platform types in, one library call, platform types out. One short file each."""
