"""The sample upstream's addresses, at simplejwt's usual places."""

from __future__ import annotations

from django.urls import path

from . import views

urlpatterns = [
    path("api/token/", views.LoginView.as_view()),
    path("api/token/refresh/", views.RefreshView.as_view()),
    path("api/orders/", views.OrdersView.as_view()),
    path("api/switches/", views.SwitchesView.as_view()),
]
