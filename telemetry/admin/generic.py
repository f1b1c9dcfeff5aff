"""Django's forms and pages for the type checker, which wants their parameter; at run time they take none."""

from typing import TYPE_CHECKING, Any

from django.core.paginator import Page, Paginator
from django.forms import ModelForm
from django.forms.models import BaseInlineFormSet

if TYPE_CHECKING:
    AnyForm = ModelForm[Any]
    AnyFormSet = BaseInlineFormSet[Any, Any, Any]
    AnyPage = Page[Any]
    AnyPaginator = Paginator[Any]
else:
    AnyForm, AnyFormSet, AnyPage, AnyPaginator = ModelForm, BaseInlineFormSet, Page, Paginator

__all__ = ("AnyForm", "AnyFormSet", "AnyPage", "AnyPaginator")
