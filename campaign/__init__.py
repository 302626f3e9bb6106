# SPDX-License-Identifier: GPL-2.0-only
"""Searching: campaigns, replay, shrinking, and the command line."""
