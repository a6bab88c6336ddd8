# SPDX-License-Identifier: GPL-2.0-or-later
# The board of the x86_64 guests, its IOMMUs, and what is behind them
CONFIG_Q35=y
CONFIG_VTD=y
CONFIG_AMD_IOMMU=y
CONFIG_PCIE_PORT=y
CONFIG_ATS_EXERCISER=y
