# SPDX-License-Identifier: GPL-2.0-only
"""What ``anonvma check`` found, in the formats that CI reads."""
