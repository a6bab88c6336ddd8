// SPDX-License-Identifier: GPL-2.0
// Input of ../ats_unasked.cocci: it reports the marked lines and no other.

int nobody_asks(struct pci_dev *pdev)
{
	return pci_prepare_ats(pdev, PAGE_SHIFT); /* report */
}

int asks_something_else(struct device *dev)
{
	if (dev_is_pci(dev))
		pci_prepare_ats(to_pci_dev(dev), PAGE_SHIFT); /* report */
	return 0;
}

int wrong_branch(struct pci_dev *pdev)
{
	if (!pci_ats_supported(pdev))
		pci_prepare_ats(pdev, PAGE_SHIFT); /* report */
	return 0;
}

int either(struct pci_dev *pdev, bool forced)
{
	if (forced || pci_ats_supported(pdev))
		return pci_enable_ats(pdev, PAGE_SHIFT); /* report */
	return 0;
}

int goes_on(struct pci_dev *pdev)
{
	if (!pci_ats_supported(pdev))
		pci_warn(pdev, "no ATS\n");
	return pci_enable_ats(pdev, PAGE_SHIFT); /* report */
}

int leaves_sometimes(struct pci_dev *pdev)
{
	if (!pci_ats_supported(pdev) && !pci_ats_required(pdev))
		return 0;
	return pci_enable_ats(pdev, PAGE_SHIFT); /* report */
}

int asks_sometimes(struct pci_dev *pdev, bool careful)
{
	if (careful) {
		if (!pci_ats_supported(pdev))
			return 0;
	}
	return pci_enable_ats(pdev, PAGE_SHIFT); /* report */
}

int answer_without_consequence(struct pci_dev *pdev)
{
	if (pci_ats_supported(pdev))
		pci_info(pdev, "ATS\n");
	return pci_prepare_ats(pdev, PAGE_SHIFT); /* report */
}

int claims(struct pci_dev *pdev, struct info *info)
{
	info->ats_supported = 1;
	return pci_prepare_ats(pdev, PAGE_SHIFT); /* report */
}

int asks_later(struct pci_dev *pdev)
{
	int ret = pci_prepare_ats(pdev, PAGE_SHIFT); /* report */

	if (pci_ats_supported(pdev))
		return ret;
	return 0;
}

static int one_caller_asks_ats(struct pci_dev *pdev)
{
	return pci_enable_ats(pdev, PAGE_SHIFT); /* report */
}

int attach(struct pci_dev *pdev)
{
	if (pci_ats_supported(pdev))
		return one_caller_asks_ats(pdev);
	return 0;
}

int resume(struct pci_dev *pdev)
{
	return one_caller_asks_ats(pdev);
}

static int without_caller_ats(struct pci_dev *pdev)
{
	return pci_enable_ats(pdev, PAGE_SHIFT); /* report */
}

int not_static_ats(struct pci_dev *pdev)
{
	return pci_enable_ats(pdev, PAGE_SHIFT); /* report */
}

int calls_not_static(struct pci_dev *pdev)
{
	if (pci_ats_supported(pdev))
		return not_static_ats(pdev);
	return 0;
}

static int switch_ats(struct pci_dev *pdev, bool on)
{
	if (on)
		return pci_enable_ats(pdev, PAGE_SHIFT); /* report */
	pci_disable_ats(pdev);
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

int switches_on_unasked(struct pci_dev *pdev)
{
	if (pci_ats_supported(pdev))
		return locked_switch_ats(pdev, false);
	return locked_switch_ats(pdev, true);
}

int noted_wrongly(struct pci_dev *pdev, struct info *info)
{
	bool prepare = false;
	int ret = 0;

	if (pci_ats_supported(pdev))
		info->qdep = pci_ats_queue_depth(pdev);
	if (dev_is_pci(pdev))
		prepare = true;
	if (prepare) {
		ret = pci_prepare_ats(pdev, PAGE_SHIFT); /* report */
		if (ret)
			return ret;
	}
	return ret;
}
