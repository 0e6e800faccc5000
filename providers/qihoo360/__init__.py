"""360 Zhinao, of Qihoo 360: its own models, and other makers' under prefixed ids."""
