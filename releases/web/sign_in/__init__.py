"""The way in: a password, a code, a passkey, a provider; again before a vote of weight; and the way out.

allauth keeps the order of the steps and what was proved; what counts, what is written and what people read is ours.
Its own addresses lead nowhere.
"""
