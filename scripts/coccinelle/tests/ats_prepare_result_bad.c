// SPDX-License-Identifier: GPL-2.0
// Input of ../ats_prepare_result.cocci: it reports the marked lines and no other.

int dropped(struct pci_dev *pdev)
{
	pci_prepare_ats(pdev, PAGE_SHIFT); /* report */
	return 0;
}

int dropped_in_branch(struct pci_dev *pdev)
{
	if (pci_ats_supported(pdev))
		pci_prepare_ats(pdev, PAGE_SHIFT); /* report */
	return 0;
}

int cast(struct pci_dev *pdev)
{
	(void)pci_prepare_ats(pdev, PAGE_SHIFT); /* report */
	return 0;
}

int not_read(struct pci_dev *pdev)
{
	int ret;

	ret = pci_prepare_ats(pdev, PAGE_SHIFT); /* report */
	return 0;
}

int initialiser_not_read(struct pci_dev *pdev)
{
	int ret = pci_prepare_ats(pdev, PAGE_SHIFT); /* report */

	return 0;
}

int overwritten(struct pci_dev *pdev)
{
	int ret;

	ret = pci_prepare_ats(pdev, PAGE_SHIFT); /* report */
	ret = device_rbtree_insert(pdev);
	return ret;
}
