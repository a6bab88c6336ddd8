// SPDX-License-Identifier: GPL-2.0
// Input of ../reset_iommu_pair.cocci: it reports nothing.

int label(struct pci_dev *pdev)
{
	int ret;

	ret = pci_dev_reset_iommu_prepare(pdev);
	if (ret) {
		pci_err(pdev, "cannot prepare\n");
		return ret;
	}
	if (pdev->imm_ready)
		goto done;
	ret = reset(pdev);
done:
	pci_dev_reset_iommu_done(pdev, ret);
	return ret;
}

int each_way(struct pci_dev *pdev)
{
	int ret;

	if (pci_dev_reset_iommu_prepare(pdev))
		return -1;
	ret = reset(pdev);
	if (ret) {
		pci_dev_reset_iommu_done(pdev);
		return ret;
	}
	pci_dev_reset_iommu_done(pdev);
	return 0;
}

int opposite(struct pci_dev *pdev)
{
	int ret;

	ret = pci_dev_reset_iommu_prepare(pdev);
	if (!ret) {
		reset(pdev);
		pci_dev_reset_iommu_done(pdev);
	}
	return ret;
}

int bus_reset_iommu_prepare(struct pci_dev *pdev)
{
	return pci_dev_reset_iommu_prepare(pdev);
}

void declared(struct pci_dev *pdev)
{
	int ret = pci_dev_reset_iommu_prepare(pdev);

	if (ret)
		return;
	reset(pdev);
	pci_dev_reset_iommu_done(pdev);
}

void direct(struct pci_dev *pdev)
{
	if (pci_dev_reset_iommu_prepare(pdev))
		return;
	reset(pdev);
	pci_dev_reset_iommu_done(pdev);
}

void in_condition(struct pci_dev *pdev)
{
	int ret;

	if ((ret = pci_dev_reset_iommu_prepare(pdev)) < 0)
		return;
	reset(pdev);
	pci_dev_reset_iommu_done(pdev);
}

void opposite_direct(struct pci_dev *pdev)
{
	if (!pci_dev_reset_iommu_prepare(pdev)) {
		reset(pdev);
		pci_dev_reset_iommu_done(pdev);
	}
}
