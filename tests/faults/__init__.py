"""Faults, proven: the product's real processes are killed, stopped and cut off at random while check-ins go out.

cast.py holds the processes, sink.py the mail server, people.py what staff and patients do meanwhile, faults.py what
goes wrong, evidence.py what is known afterwards, judge.py the nine points, round.py one round. `make faults` runs it.
"""
