"""Composition: the one door, the doors that lead to it, admin, tasks. No business models."""

from observatory.celery import app as celery_app

__all__ = ("celery_app",)
