"""The demo project's addresses: the live page, views that call the upstream, and the admin."""

from __future__ import annotations

from django.contrib import admin
from django.urls import path

from project import views

urlpatterns = [
    path("", views.page, name="live"),
    path("fragment/", views.fragment, name="fragment"),
    path("do/<str:action>/", views.do, name="do"),
    path("orders/", views.orders, name="orders"),
    path("orders/all/", views.all_orders, name="all-orders"),
    path("sign-in/<str:password>/", views.sign_in, name="sign-in"),
    path("admin/", admin.site.urls),
]
