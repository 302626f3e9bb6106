# SPDX-License-Identifier: GPL-2.0-only
"""Where the time goes: ``make bench`` prints one table from one run."""
