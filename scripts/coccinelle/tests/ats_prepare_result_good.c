// SPDX-License-Identifier: GPL-2.0
// Input of ../ats_prepare_result.cocci: it reports nothing.

int tested(struct pci_dev *pdev)
{
	int ret;

	ret = pci_prepare_ats(pdev, PAGE_SHIFT);
	if (ret)
		return ret;
	return 0;
}

int initialiser(struct pci_dev *pdev)
{
	int ret = pci_prepare_ats(pdev, PAGE_SHIFT);

	return ret ? ret : 1;
}

int returned(struct pci_dev *pdev)
{
	return pci_prepare_ats(pdev, PAGE_SHIFT);
}

int in_condition(struct pci_dev *pdev)
{
	int ret;

	if ((ret = pci_prepare_ats(pdev, PAGE_SHIFT)) < 0)
		return ret;
	if (pci_prepare_ats(pdev, PAGE_SHIFT))
		return -EINVAL;
	return 0;
}

int passed_on(struct pci_dev *pdev)
{
	int ret;

	ret = pci_prepare_ats(pdev, PAGE_SHIFT);
	ret = translate(ret);
	return 0;
}

int read_on_one_path(struct pci_dev *pdev)
{
	int ret;

	ret = pci_prepare_ats(pdev, PAGE_SHIFT);
	if (pci_ats_required(pdev))
		return ret;
	return 0;
}

void stored(struct pci_dev *pdev, struct info *info)
{
	info->error = pci_prepare_ats(pdev, PAGE_SHIFT);
}
