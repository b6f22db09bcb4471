"""What a request passes before a route:

identity, keys, quotas, limits, and failures on the way out.
"""
