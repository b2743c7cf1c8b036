"""Who may do what, and when: written down once more by hand, asserted cell by cell, and printed for people.

`people` are the columns, `table` the rows with what each cell has to say, `ways` how each is done, `fixture`
the database it is done on, and `page` the document. `python -m tests.permissions` prints it.
"""
