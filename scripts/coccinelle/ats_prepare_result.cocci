// SPDX-License-Identifier: GPL-2.0
/// The result of pci_prepare_ats() must be looked at.  When it fails, the
/// Smallest Translation Unit in the function's ATS capability is not the one
/// that the IOMMU driver works with (for a VF: in its PF's), and ATS must not
/// be used.
///
// Confidence: High
// Comments: Reports a call whose value is dropped, cast to void, or assigned to
//   a local variable that is on no path read before it is assigned again.  A
//   value stored in a structure counts as looked at.
// Options: --no-includes
// Keywords: pci_prepare_ats, ATS, STU

virtual report

@dropped@
position p;
@@

(
  pci_prepare_ats@p(...);
|
  (void)pci_prepare_ats@p(...);
)

@target@
idexpression x;
expression E;
position l;
@@

  x@l = E

@read exists@
local idexpression x;
expression E;
position p;
position q != target.l;
@@

  x = pci_prepare_ats@p(...);
  ... when != x = E
  x@q

@unread@
local idexpression x;
position p != read.p;
@@

  x = pci_prepare_ats@p(...);

@readinit exists@
type T;
identifier i;
expression E;
position p;
position q != target.l;
@@

  T i = pci_prepare_ats@p(...);
  ... when != i = E
  i@q

@unreadinit@
type T;
identifier i;
position p != readinit.p;
@@

  T i = pci_prepare_ats@p(...);

@script:python depends on report@
p << dropped.p;
@@

msg = "in %s(): result of pci_prepare_ats() ignored: without the STU the device must not use ATS, so let its probe fail" % p[0].current_element
coccilib.report.print_report(p[0], msg)

@script:python depends on report@
p << unread.p;
@@

msg = "in %s(): result of pci_prepare_ats() assigned but not read: without the STU the device must not use ATS, so let its probe fail" % p[0].current_element
coccilib.report.print_report(p[0], msg)

@script:python depends on report@
p << unreadinit.p;
@@

msg = "in %s(): result of pci_prepare_ats() assigned but not read: without the STU the device must not use ATS, so let its probe fail" % p[0].current_element
coccilib.report.print_report(p[0], msg)
