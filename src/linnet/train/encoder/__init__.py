"""The encoder that training starts from:

found, downloaded, converted, or made of the training texts.
"""
