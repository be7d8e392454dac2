"""Plugins: how they register, what they build on, and the guard that stands around every call.

Plugin authors import `triggerfish` (and `triggerfish.plugin.testing` in their tests), never these modules.
"""
