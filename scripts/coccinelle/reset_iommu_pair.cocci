// SPDX-License-Identifier: GPL-2.0
/// After a successful pci_dev_reset_iommu_prepare() every path must come by
/// pci_dev_reset_iommu_done() or _cancel(): a device that is left prepared stays in
/// the blocking domain, and its group refuses attaches for ever.
///
// Confidence: Moderate
// Comments: Paths on which prepare itself failed are in order, if the function
//   tests its result next: "if (ret)", "if (ret < 0)", or the opposite with the
//   work inside; a failure branch with an "else" is not understood.  A function
//   whose own name ends in reset_iommu_prepare hands the duty to its callers, and
//   a call of it is judged like one of pci_dev_reset_iommu_prepare(); so is one
//   whose name ends in reset_iommu_done or reset_iommu_cancel, or in restore_locked,
//   which calls it for a whole bus, like done.  That done is told the same
//   device is seen by the text of the argument only, and a loop that prepares
//   several devices counts as undone by one that names the same expression.
// Options: --no-includes
// Keywords: pci_dev_reset_iommu_prepare, pci_dev_reset_iommu_done, reset

virtual report

@initialize:python@
@@

def tell(p):
    if p.current_element.endswith("reset_iommu_prepare"):
        return
    coccilib.report.print_report(p, "in %s(): a path from here to the end misses pci_dev_reset_iommu_done() or _cancel(): the device stays blocked; call one on every way out" % p.current_element)

// A path that begins behind "if (failed) S" has not been through S.
@assigned exists@
identifier prepare =~ "reset_iommu_prepare$";
identifier done =~ "(reset_iommu_(done|cancel)|restore_locked)$";
expression dev;
idexpression r;
statement S;
position p;
@@

  r = prepare@p(dev, ...);
(
  if (r) S
|
  if (r < 0) S
)
  ... when != done(dev, ...)
      when any
  return ...;

@declared exists@
identifier prepare =~ "reset_iommu_prepare$";
identifier done =~ "(reset_iommu_(done|cancel)|restore_locked)$";
expression dev;
type T;
identifier r;
statement S;
position p;
@@

  T r = prepare@p(dev, ...);
(
  if (r) S
|
  if (r < 0) S
)
  ... when != done(dev, ...)
      when any
  return ...;

@direct exists@
identifier prepare =~ "reset_iommu_prepare$";
identifier done =~ "(reset_iommu_(done|cancel)|restore_locked)$";
expression dev;
idexpression r;
statement S;
position p;
@@

(
  if (prepare@p(dev, ...)) S
|
  if (prepare@p(dev, ...) < 0) S
|
  if ((r = prepare@p(dev, ...))) S
|
  if ((r = prepare@p(dev, ...)) < 0) S
)
  ... when != done(dev, ...)
      when any
  return ...;

// The opposite test: the work is in the branch, and all of its ways out, early
// ones too, must come by done.
@done1 forall@
identifier prepare =~ "reset_iommu_prepare$";
identifier done =~ "(reset_iommu_(done|cancel)|restore_locked)$";
expression dev;
idexpression r;
position p;
@@

  r = prepare@p(dev, ...);
  if (!r) {
    ... when strict
    done(dev, ...)
    ... when any
  }

@opposite@
identifier prepare =~ "reset_iommu_prepare$";
idexpression r;
position p != done1.p;
@@

  r = prepare@p(...);
  if (!r) {
    ...
  }

@done2 forall@
identifier prepare =~ "reset_iommu_prepare$";
identifier done =~ "(reset_iommu_(done|cancel)|restore_locked)$";
expression dev;
position p;
@@

  if (!prepare@p(dev, ...)) {
    ... when strict
    done(dev, ...)
    ... when any
  }

@oppositedirect@
identifier prepare =~ "reset_iommu_prepare$";
position p != done2.p;
statement S;
@@

  if (!prepare@p(...)) S

// No test that the rules above know: the path begins at the call.
@tested@
identifier prepare =~ "reset_iommu_prepare$";
idexpression r;
type T;
identifier i;
statement S;
position p;
@@

(
  r = prepare@p(...);
  if (<+... r ...+>) S
|
  T i = prepare@p(...);
  if (<+... i ...+>) S
|
  if (<+... prepare@p(...) ...+>) S
)

@untested exists@
identifier prepare =~ "reset_iommu_prepare$";
identifier done =~ "(reset_iommu_(done|cancel)|restore_locked)$";
expression dev;
position p != tested.p;
@@

  prepare@p(dev, ...)
  ... when != done(dev, ...)
      when any
  return ...;

// Handed on by a function that is not called so.
@returned@
identifier prepare =~ "reset_iommu_prepare$";
position p;
@@

  return prepare@p(...);

@script:python depends on report@
p << returned.p;
@@

tell(p[0])

@script:python depends on report@
p << assigned.p;
@@

tell(p[0])

@script:python depends on report@
p << declared.p;
@@

tell(p[0])

@script:python depends on report@
p << direct.p;
@@

tell(p[0])

@script:python depends on report@
p << opposite.p;
@@

tell(p[0])

@script:python depends on report@
p << oppositedirect.p;
@@

tell(p[0])

@script:python depends on report@
p << untested.p;
@@

tell(p[0])
