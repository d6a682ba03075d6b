"""The sample upstream's addresses: simplejwt's at their usual places, and those of OAuth 2."""

from __future__ import annotations

from django.urls import path

from . import authorization, views

urlpatterns = [
    path("api/token/", views.LoginView.as_view()),
    path("api/token/refresh/", views.RefreshView.as_view()),
    path("api/oauth/authorize/", authorization.authorize),
    path("api/oauth/token/", authorization.TokenView.as_view()),
    path("api/orders/", views.OrdersView.as_view()),
    path("api/switches/", views.SwitchesView.as_view()),
]
