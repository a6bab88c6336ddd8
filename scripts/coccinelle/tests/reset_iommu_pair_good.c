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
		pci_dev_reset_iommu_done(pdev, ret);
		return ret;
	}
	pci_dev_reset_iommu_done(pdev, ret);
	return 0;
}

int opposite(struct pci_dev *pdev)
{
	int ret;

	ret = pci_dev_reset_iommu_prepare(pdev);
	if (!ret) {
		reset(pdev);
		pci_dev_reset_iommu_done(pdev, ret);
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
	pci_dev_reset_iommu_done(pdev, ret);
}

void direct(struct pci_dev *pdev)
{
	if (pci_dev_reset_iommu_prepare(pdev))
		return;
	reset(pdev);
	pci_dev_reset_iommu_done(pdev, ret);
}

void in_condition(struct pci_dev *pdev)
{
	int ret;

	if ((ret = pci_dev_reset_iommu_prepare(pdev)) < 0)
		return;
	reset(pdev);
	pci_dev_reset_iommu_done(pdev, ret);
}

void opposite_direct(struct pci_dev *pdev)
{
	if (!pci_dev_reset_iommu_prepare(pdev)) {
		reset(pdev);
		pci_dev_reset_iommu_done(pdev, ret);
	}
}

int called_off(struct pci_dev *pdev)
{
	bool attempted = false;
	int ret;

	ret = pci_dev_reset_iommu_prepare(pdev);
	if (ret)
		return ret;
	ret = try_reset(pdev, &attempted);
	if (attempted)
		pci_dev_reset_iommu_done(pdev, ret);
	else
		pci_dev_reset_iommu_cancel(pdev);
	return ret;
}
