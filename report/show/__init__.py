# SPDX-License-Identifier: GPL-2.0-only
"""The page that shows a trace step by step."""
