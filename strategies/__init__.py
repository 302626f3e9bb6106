# SPDX-License-Identifier: GPL-2.0-only
"""What can happen: operations, traces, mixes and the Hypothesis state machine."""
