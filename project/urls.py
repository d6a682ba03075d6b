"""The demo project's addresses: the live page, a view that calls the upstream, and the admin."""

from __future__ import annotations

from django.contrib import admin
from django.urls import path

from project import views

urlpatterns = [
    path("", views.live, name="live"),
    path("fragment/", views.fragment, name="fragment"),
    path("do/<str:action>/", views.do, name="do"),
    path("orders/", views.orders, name="orders"),
    path("admin/", admin.site.urls),
]
