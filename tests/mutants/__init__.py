"""Small mistakes, made one at a time in a copy: which of them do the tests see?"""
