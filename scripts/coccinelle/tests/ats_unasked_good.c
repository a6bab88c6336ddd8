// SPDX-License-Identifier: GPL-2.0
// Input of ../ats_unasked.cocci: it reports nothing.

int inside(struct pci_dev *pdev)
{
	int ret;

	if (pdev && pci_ats_supported(pdev)) {
		ret = pci_prepare_ats(pdev, PAGE_SHIFT);
		if (ret)
			return ret;
	}
	return 0;
}

int inside_line(struct pci_dev *pdev)
{
	int ret = 0;

	if (pci_ats_supported(pdev))
		ret = pci_prepare_ats(pdev, PAGE_SHIFT);
	else
		pci_info(pdev, "no ATS\n");
	return ret;
}

int behind(struct pci_dev *pdev)
{
	if (!pdev || !pci_ats_supported(pdev))
		return -EINVAL;
	return pci_prepare_ats(pdev, PAGE_SHIFT);
}

int behind_wrapper(struct master *master)
{
	if (!arm_smmu_ats_supported(master)) {
		if (pci_ats_required(master->pdev)) {
			dev_err(master->dev, "no ATS\n");
			return -EOPNOTSUPP;
		}
		return 0;
	}
	return pci_prepare_ats(master->pdev, PAGE_SHIFT);
}

int behind_goto(struct pci_dev *pdev, struct info *info)
{
	int ret = 0;

	if (!info->ats_supported)
		goto out;
	ret = pci_enable_ats(pdev, PAGE_SHIFT);
out:
	return ret;
}

int flag(struct pci_dev *pdev, struct dev_data *dev_data)
{
	int ret = -EINVAL;

	if (dev_data->ats_enabled)
		return 0;
	if (iotlb_sup && (dev_data->flags & FLAG_ATS_SUP)) {
		ret = pci_enable_ats(pdev, PAGE_SHIFT);
		if (!ret)
			dev_data->ats_enabled = 1;
	}
	return ret;
}

int other_branch(struct pci_dev *pdev, struct info *info)
{
	int ret = 0;

	if (!info->ats_supported) {
		pci_info(pdev, "no ATS\n");
	} else {
		ret = pci_enable_ats(pdev, PAGE_SHIFT);
	}
	return ret;
}

int one_expression(struct pci_dev *pdev)
{
	if (pci_ats_supported(pdev) && !pci_enable_ats(pdev, PAGE_SHIFT))
		return 1;
	return pci_ats_supported(pdev) ? pci_prepare_ats(pdev, PAGE_SHIFT) : 0;
}

static void callers_ask_ats(struct pci_dev *pdev)
{
	if (pci_enable_ats(pdev, PAGE_SHIFT))
		pci_err(pdev, "no ATS\n");
}

void attach(struct pci_dev *pdev, struct state *state, struct master *master)
{
	if (state->ats_enabled && !master->ats_enabled) {
		callers_ask_ats(pdev);
	} else if (state->ats_enabled) {
		flush(pdev);
	}
}

static int switch_ats(struct pci_dev *pdev, bool on)
{
	int ret;

	if (on) {
		ret = pci_enable_ats(pdev, PAGE_SHIFT);
		if (ret)
			return ret;
	} else {
		pci_disable_ats(pdev);
	}
	return 0;
}

static int locked_switch_ats(struct pci_dev *pdev, bool on)
{
	int ret;

	spin_lock(&lock);
	ret = switch_ats(pdev, on);
	spin_unlock(&lock);
	return ret;
}

int switches(struct pci_dev *pdev)
{
	if (pci_ats_supported(pdev))
		return locked_switch_ats(pdev, true);
	locked_switch_ats(pdev, false);
	return 0;
}

int noted(struct pci_dev *pdev, struct info *info)
{
	bool prepare = false;
	int ret = 0;

	if (pdev && pci_ats_supported(pdev) && iotlb_sup) {
		prepare = true;
		info->qdep = pci_ats_queue_depth(pdev);
	}
	dev_iommu_priv_set(pdev, info);
	if (prepare) {
		ret = pci_prepare_ats(pdev, PAGE_SHIFT);
		if (ret)
			return ret;
	}
	return ret;
}
