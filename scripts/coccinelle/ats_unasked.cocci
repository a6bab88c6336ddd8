// SPDX-License-Identifier: GPL-2.0
/// pci_prepare_ats() and pci_enable_ats() are for functions of which
/// pci_ats_supported() is true: a quirk, an untrusted port or the PF may forbid
/// ATS although the capability is there.  Every caller asks first.
///
// Confidence: Moderate
// Comments: A call is in order when no path reaches it but through a test of
//   pci_ats_supported(), or of what drivers keep its answer in: a function,
//   variable, field or flag that has "ats_supported", "ats_sup", "ats_capable"
//   or "ats_enabled" in its name.  The test must have the right sense: the call
//   is in the branch where the answer is yes (the answer not below "!" or "||"),
//   or the branch where it is no leaves the function or loop (not below "&&").
//   A static function whose name ends in "_ats" may leave the question to its
//   callers in the file, to any depth, which are judged in the same way; one
//   that passes "false" for the parameter under whose test the call stands does
//   not reach it.  Calls through pointers are not seen.
//   So may a local variable that is only set to the answer, or to true where the
//   answer is yes.
//   It is taken on trust that the name tells what was asked, and that the test
//   is about the same device.
// Options: --no-includes
// Keywords: pci_ats_supported, pci_prepare_ats, pci_enable_ats, ATS

virtual report

// Where an answer does not decide a branch by itself.
@negated@
identifier q =~ "(?i)ats_(sup|capable|enabled)";
expression E;
position a;
@@

  !(<+... \(E->q@a\|E.q@a\|q@a\) ...+>)

@either1@
identifier q =~ "(?i)ats_(sup|capable|enabled)";
expression E, F;
position a;
@@

  (<+... \(E->q@a\|E.q@a\|q@a\) ...+>) || F

@either2@
identifier q =~ "(?i)ats_(sup|capable|enabled)";
expression E, F;
position a;
@@

  F || (<+... \(E->q@a\|E.q@a\|q@a\) ...+>)

@both1@
identifier q =~ "(?i)ats_(sup|capable|enabled)";
expression E, F;
position a;
@@

  (<+... \(E->q@a\|E.q@a\|q@a\) ...+>) && F

@both2@
identifier q =~ "(?i)ats_(sup|capable|enabled)";
expression E, F;
position a;
@@

  F && (<+... \(E->q@a\|E.q@a\|q@a\) ...+>)

// The call is in the branch where the answer is yes,
@inside exists@
identifier q =~ "(?i)ats_(sup|capable|enabled)";
identifier fn =~ "_ats$";
expression E;
statement S;
position a != {negated.a, either1.a, either2.a};
position p;
@@

(
  if (<+... \(E->q@a\|E.q@a\|q@a\) ...+>) {
    ... when any
    fn@p(...)
    ... when any
  } else S
|
  if (<+... \(E->q@a\|E.q@a\|q@a\) ...+>) {
    ... when any
    fn@p(...)
    ... when any
  }
)

@insideline@
identifier q =~ "(?i)ats_(sup|capable|enabled)";
identifier fn =~ "_ats$";
expression E;
statement S;
position a != {negated.a, either1.a, either2.a};
position p;
@@

(
  if (<+... \(E->q@a\|E.q@a\|q@a\) ...+>)
    (<+... fn@p(...) ...+>);
  else S
|
  if (<+... \(E->q@a\|E.q@a\|q@a\) ...+>)
    (<+... fn@p(...) ...+>);
|
  if (<+... \(E->q@a\|E.q@a\|q@a\) ...+>)
    return (<+... fn@p(...) ...+>);
)

// or in the other branch of the opposite test,
@otherwise exists@
identifier q =~ "(?i)ats_(sup|capable|enabled)";
identifier fn =~ "_ats$";
expression E;
statement S;
position a != {both1.a, both2.a};
position p;
@@

(
  if (<+... !(<+... \(E->q@a\|E.q@a\|q@a\) ...+>) ...+>) S
  else {
    ... when any
    fn@p(...)
    ... when any
  }
|
  if (<+... !(<+... \(E->q@a\|E.q@a\|q@a\) ...+>) ...+>) S
  else
    (<+... fn@p(...) ...+>);
)

// or to the right of the answer in one expression,
@beside@
identifier q =~ "(?i)ats_(sup|capable|enabled)";
identifier fn =~ "_ats$";
expression E, F;
position a != {negated.a, either1.a, either2.a};
position p;
@@

(
  (<+... \(E->q@a\|E.q@a\|q@a\) ...+>) && (<+... fn@p(...) ...+>)
|
  (<+... \(E->q@a\|E.q@a\|q@a\) ...+>) ? (<+... fn@p(...) ...+>) : F
)

// or behind a test that leaves where the answer is no.
@behind exists@
identifier q =~ "(?i)ats_(sup|capable|enabled)";
identifier fn =~ "_ats$";
identifier l;
expression E;
position a != {both1.a, both2.a};
position p;
@@

(
  if (<+... !(<+... \(E->q@a\|E.q@a\|q@a\) ...+>) ...+>)
    \(return ...;\|goto l;\|continue;\|break;\)
|
  if (<+... !(<+... \(E->q@a\|E.q@a\|q@a\) ...+>) ...+>) {
    ... when any
    \(return ...;\|goto l;\|continue;\|break;\)
  }
)
  ... when any
  fn@p(...)

@unasked@
identifier fn =~ "_ats$";
position p != {inside.p, insideline.p, otherwise.p, beside.p, behind.p};
@@

  fn@p(...)

// A path from the start of the function to the call on which nobody asks.
@around exists@
identifier q =~ "(?i)ats_(sup|capable|enabled)";
identifier fn =~ "_ats$";
identifier f;
expression E;
position p != beside.p;
@@

  f(...)
  {
    ... when != \(E->q\|E.q\|q\)
    fn@p(...)
    ... when any
  }

@asked@
identifier fn =~ "_ats$";
position p != {unasked.p, around.p};
@@

  fn@p(...)

// A local variable that notes the answer for later: tested around the call, and
// never set but to the answer, to true where the answer is yes, or to false.
@noted exists@
identifier v;
identifier fn =~ "_ats$";
position p;
@@

  if (v) {
    ... when any
    fn@p(...)
    ... when any
  }

@yes exists@
identifier noted.v;
identifier q =~ "(?i)ats_(sup|capable|enabled)";
expression E;
symbol true;
position a != {negated.a, either1.a, either2.a};
position m;
@@

  if (<+... \(E->q@a\|E.q@a\|q@a\) ...+>) {
    ... when any
    v@m = true
    ... when any
  }

@answer@
identifier noted.v;
identifier q =~ "(?i)ats_(sup|capable|enabled)";
expression E;
position a != {negated.a, either1.a, either2.a};
position m;
@@

  v@m = <+... \(E->q@a\|E.q@a\|q@a\) ...+>

@no@
identifier noted.v;
symbol false;
position m;
@@

  v@m = false

@set@
identifier noted.v;
expression E;
position m;
@@

  v@m = E

@declared@
identifier noted.v;
identifier q =~ "(?i)ats_(sup|capable|enabled)";
expression E;
symbol false;
type T;
position a != {negated.a, either1.a, either2.a};
position m;
@@

(
  T v@m = false;
|
  T v@m = <+... \(E->q@a\|E.q@a\|q@a\) ...+>;
)

@initialised@
identifier noted.v;
expression E;
type T;
position m != declared.m;
@@

  T v@m = E;

// A parameter that switches the call on, as such or passed on by a caller.
@switched@
identifier f, on;
identifier fn = {pci_prepare_ats, pci_enable_ats};
type T;
statement S;
parameter list[n] before;
@@

  f(before, T on, ...)
  {
    <+...
(
    if (on) { <+... fn(...) ...+> } else S
|
    if (on) { <+... fn(...) ...+> }
)
    ...+>
  }

@off@
symbol false;
identifier switched.f;
expression list[switched.n] before;
position p;
@@

  f@p(before, false, ...)

@handed@
identifier switched.f;
identifier g, on;
type T;
parameter list[m] before;
expression list[switched.n] args;
@@

  g(before, T on, ...)
  {
    <+... f(args, on, ...) ...+>
  }

@handedoff@
symbol false;
identifier handed.g;
expression list[handed.m] before;
position p;
@@

  g@p(before, false, ...)

@private@
identifier f =~ "_ats$";
type T;
position p;
@@

  static T f@p(...) { ... }

@call@
identifier fn =~ "_ats$";
position p;
@@

  fn@p(...)

@initialize:python@
@@

good = set()
private = set()
calls = {}
flags = {}
sets = {}
fine = set()

def place(p):
    return (p.file, p.line, p.column)

@script:python depends on report@
p << asked.p;
@@

good.add(place(p[0]))

@script:python depends on report@
p << off.p;
@@

good.add(place(p[0]))

@script:python depends on report@
p << handedoff.p;
@@

good.add(place(p[0]))

@script:python depends on report@
v << noted.v;
p << noted.p;
@@

flags[place(p[0])] = (p[0].file, p[0].current_element, v)

@script:python depends on report@
m << yes.m;
@@

fine.add(place(m[0]))

@script:python depends on report@
m << answer.m;
@@

fine.add(place(m[0]))

@script:python depends on report@
m << no.m;
@@

fine.add(place(m[0]))

@script:python depends on report@
v << noted.v;
m << set.m;
@@

sets.setdefault((m[0].file, m[0].current_element, v), set()).add(place(m[0]))

@script:python depends on report@
v << noted.v;
m << initialised.m;
@@

sets.setdefault((m[0].file, m[0].current_element, v), set()).add(place(m[0]))

@script:python depends on report@
f << private.f;
p << private.p;
@@

private.add((p[0].file, f))

@script:python depends on report@
fn << call.fn;
p << call.p;
@@

calls.setdefault((p[0].file, fn), []).append((p[0].current_element, p[0]))

@finalize:python@
@@

message = "in %s(): %s() without asking pci_ats_supported() first, as seen from %s(): call it only where the answer is yes"

def careless(path, f, seen):
    """The first caller of a function, or of its callers, who does not ask."""
    callers = calls.get((path, f), [])
    if (path, f) not in private or not callers:
        return f
    for g, p in callers:
        if place(p) not in good and g not in seen:
            found = careless(path, g, seen + [g])
            if found:
                return found
    return None

for p, flag in flags.items():
    if sets.get(flag) and sets[flag] <= fine:
        good.add(p)

for (path, fn), sites in sorted(calls.items()):
    if fn not in ("pci_prepare_ats", "pci_enable_ats"):
        continue
    for f, p in sites:
        who = place(p) not in good and careless(path, f, [f])
        if who:
            coccilib.report.print_report(p, message % (f, fn, who))
