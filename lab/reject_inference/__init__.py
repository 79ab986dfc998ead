"""Selection: what is missing because some customers were refused, with bounds on what it may hide.

Who was turned away has no outcome, so a model learns from those who looked good. This package
reports what can be said about everybody who asked, by methods of rising assumptions, and never
picks one: `training train` keeps learning from known outcomes as they are.

* Worst case: the missing outcomes are anything. Nothing is assumed, so the bounds are wide.
* Exploration: of those whom the rule turned away, a random share was let in. Weighted back, they
  stand for all who were turned away; few people with large weights make a noisy number.
* Scenarios (hard cutoff, parcelling, fuzzy augmentation): outcomes are made up by a rule. They are
  assumptions with a number and are held against the exploration where there is one.

References
----------
Manski (2003), Partial identification of probability distributions, ch. 1. Hand and Henley (1993),
IMA Journal of Mathematics 5(1): reject inference needs information from beyond the line. Kish
(1965), Survey sampling: effective sample size.
"""
