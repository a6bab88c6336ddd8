# SPDX-License-Identifier: GPL-2.0-or-later
# The board of the arm64 guests, with its SMMU, and what is behind it
CONFIG_ARM_VIRT=y
CONFIG_PCIE_PORT=y
CONFIG_ATS_EXERCISER=y
