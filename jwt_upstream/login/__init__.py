"""Gets an account its first pair, by a login or from elsewhere, and logs it out again."""

from __future__ import annotations

from .browser import BrowserLogin
from .device import DeviceLogin, begin_device_login
from .first_pair import adopt, login
from .labels import label
from .logout import Logout, log_out
from .registration import known_secrets, register

__all__ = [
    "BrowserLogin",
    "DeviceLogin",
    "Logout",
    "adopt",
    "begin_device_login",
    "known_secrets",
    "label",
    "log_out",
    "login",
    "register",
]
