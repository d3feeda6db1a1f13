"""Training samples as spikes: in memory or in a file, as lists of active inputs or matrices, moved or not.

bits.py     spikes as bits, of sets larger than memory
batches.py  mini-batches, in the form that is the faster one for their density
image.py    how inputs lie in images;  augment.py: the loops that shift and bend them
kernels.py  products of lists with weights and terms
"""
