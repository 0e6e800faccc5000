"""Baidu AI Cloud Qianfan: ERNIE and other makers' models, on the v2 API and on the older one (wenxinworkshop)."""
