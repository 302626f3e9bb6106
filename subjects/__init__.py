# SPDX-License-Identifier: GPL-2.0-only
"""What is put to the test: something that executes operations and shows its World."""
