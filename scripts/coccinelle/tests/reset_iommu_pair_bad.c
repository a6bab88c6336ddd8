// SPDX-License-Identifier: GPL-2.0
// Input of ../reset_iommu_pair.cocci: it reports the marked lines and no other.

int label_too_late(struct pci_dev *pdev)
{
	int ret;

	ret = pci_dev_reset_iommu_prepare(pdev); /* report */
	if (ret) {
		pci_err(pdev, "cannot prepare\n");
		return ret;
	}
	if (pdev->imm_ready)
		goto done;
	ret = reset(pdev);
	pci_dev_reset_iommu_done(pdev, ret);
done:
	return ret;
}

int early_return(struct pci_dev *pdev)
{
	int ret;

	if (pci_dev_reset_iommu_prepare(pdev)) /* report */
		return -1;
	ret = reset(pdev);
	if (ret)
		return ret;
	pci_dev_reset_iommu_done(pdev, ret);
	return 0;
}

void opposite_early_return(struct pci_dev *pdev)
{
	int ret;

	ret = pci_dev_reset_iommu_prepare(pdev); /* report */
	if (!ret) {
		reset(pdev);
		if (pdev->broken)
			return;
		pci_dev_reset_iommu_done(pdev, ret);
	}
}

void untested(struct pci_dev *pdev)
{
	pci_dev_reset_iommu_prepare(pdev); /* report */
	reset(pdev);
}

int opposite_forgotten(struct pci_dev *pdev)
{
	int ret;

	ret = pci_dev_reset_iommu_prepare(pdev); /* report */
	if (!ret) {
		reset(pdev);
	}
	return ret;
}

int on_a_condition(struct pci_dev *pdev)
{
	int ret = pci_dev_reset_iommu_prepare(pdev); /* report */

	if (ret < 0) {
		reset(pdev);
		return ret;
	}
	reset(pdev);
	if (pdev->broken)
		pci_dev_reset_iommu_done(pdev, ret);
	return ret;
}

int another_device(struct pci_dev *pdev)
{
	int ret;

	ret = pci_dev_reset_iommu_prepare(pdev); /* report */
	if (ret)
		return ret;
	reset(pdev);
	pci_dev_reset_iommu_done(other);
	return ret;
}

void end_of_void(struct pci_dev *pdev)
{
	int ret;

	ret = pci_dev_reset_iommu_prepare(pdev); /* report */
	if (ret)
		return;
	reset(pdev);
	if (pdev->broken)
		pci_dev_reset_iommu_done(pdev, ret);
}

void opposite_direct(struct pci_dev *pdev)
{
	if (!pci_dev_reset_iommu_prepare(pdev)) { /* report */
		reset(pdev);
		if (pdev->broken)
			pci_dev_reset_iommu_done(pdev, ret);
	}
}

void in_condition(struct pci_dev *pdev)
{
	int ret;

	if ((ret = pci_dev_reset_iommu_prepare(pdev)) < 0) /* report */
		return;
	reset(pdev);
}

int in_condition_early_return(struct pci_dev *pdev)
{
	int ret;

	if ((ret = pci_dev_reset_iommu_prepare(pdev))) /* report */
		return 0;
	if (pdev->broken)
		return 1;
	pci_dev_reset_iommu_done(pdev, ret);
	return 0;
}

int handed_on(struct pci_dev *pdev)
{
	return pci_dev_reset_iommu_prepare(pdev); /* report */
}

int handed_on_late(struct pci_dev *pdev)
{
	int ret;

	ret = pci_dev_reset_iommu_prepare(pdev); /* report */
	return ret;
}

int called_off_sometimes(struct pci_dev *pdev)
{
	int ret;

	ret = pci_dev_reset_iommu_prepare(pdev); /* report */
	if (ret)
		return ret;
	ret = reset(pdev);
	if (!ret)
		pci_dev_reset_iommu_done(pdev, ret);
	else if (ret == -ENOTTY)
		pci_dev_reset_iommu_cancel(pdev);
	return ret;
}
