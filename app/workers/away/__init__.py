"""Jobs on hosts that share no disk with the store.

    parcel      what travels with a job, and what both sides say to each other
    desk        the worker's side: a store of its own for one job; what it lacks is asked for, what it writes lies ready to be fetched
    inputs      model and texts, found by content where the worker is, or received
    courier     beside the store: answers, sends and fetches, and enters what came home
    homecoming  rows that came home, entered into the store

All of it goes through the scheduler: the courier calls functions of the desk with `Client.run`, in pieces, and the desk rings by an event.
So the store's host must reach the scheduler and the scheduler the workers; workers and the store's host need not reach each other.
"""
