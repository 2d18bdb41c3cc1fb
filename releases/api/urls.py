"""Addresses of the REST door, under ``/api/``."""

from django.urls import path, re_path
from drf_spectacular.views import SpectacularAPIView

from releases.api import (
    changes,
    config,
    deployments,
    docs,
    flagger,
    gate,
    hints,
    notices,
    policy,
    routes,
    told,
    traffic,
)
from releases.api.elsewhere import Elsewhere
from releases.traffic.drivers.flagger import CONFIRM, HOOK

urlpatterns = [
    path("v1/schema", SpectacularAPIView.as_view(authentication_classes=()), name="api-schema"),
    path("docs", docs.Docs.as_view(), name="api-docs"),
    path("v1/changes", changes.Changes.as_view(), name="api-changes"),
    path("v1/changes/<int:number>", changes.Change.as_view(), name="api-change"),
    path("v1/changes/<int:number>/submit", changes.Submit.as_view(), name="api-change-submit"),
    path("v1/changes/<int:number>/votes", changes.Votes.as_view(), name="api-change-votes"),
    path(
        "v1/changes/<int:number>/customer-notices",
        told.CustomerNotices.as_view(),
        name="api-change-customer-notices",
    ),
    path("v1/changes/<int:number>/rollout", changes.Release.as_view(), name="api-change-rollout"),
    path("v1/changes/<int:number>/rollback", changes.GoBack.as_view(), name="api-change-rollback"),
    *(
        path(f"v1/changes/<int:number>/{name}", changes.act(name, call), name=f"api-change-{name}")
        for name, call in changes.ACTS.items()
    ),
    path("v1/changes/<int:number>/routes", routes.Routes.as_view(), name="api-change-routes"),
    path(
        "v1/changes/<int:number>/routes/<uuid:route_id>/choice",
        routes.RouteChoice.as_view(),
        name="api-change-route-choice",
    ),
    path("v1/changes/<int:number>/routes/<uuid:route_id>/wishes", routes.Wishes.as_view(), name="api-change-wishes"),
    path("v1/config", config.Config.as_view(), name="api-config"),
    path("v1/deployments", deployments.Deployments.as_view(), name="api-deployments"),
    path("v1/deployments/<uuid:deployment_id>", deployments.Deployment.as_view(), name="api-deployment"),
    path("v1/deployments/<uuid:deployment_id>/log", deployments.Log.as_view(), name="api-deployment-log"),
    path("v1/deployments/<uuid:deployment_id>/acts", deployments.Acts.as_view(), name="api-deployment-acts"),
    path(f"v1/{CONFIRM}", flagger.Confirm.as_view(), name="api-flagger-confirm"),
    path(f"v1/{HOOK}", flagger.Rollback.as_view(), name="api-flagger-rollback"),
    path("v1/gate/decisions", gate.Decisions.as_view(), name="api-gate-decisions"),
    path("v1/gate/decisions/<uuid:decision_id>", gate.Decision.as_view(), name="api-gate-decision"),
    path("v1/gate/decisions/<uuid:decision_id>/status", gate.Status.as_view(), name="api-gate-status"),
    path("v1/gate/decisions/<uuid:decision_id>/receipt", gate.Receipt.as_view(), name="api-gate-receipt"),
    path("v1/gate/permits/<uuid:jti>/redeem", gate.Redeem.as_view(), name="api-gate-redeem"),
    path("v1/hints/<uuid:connection_id>", hints.Hints.as_view(), name="api-hints"),
    path("v1/gate/jwks.json", gate.Jwks.as_view(), name="api-gate-jwks"),
    path("v1/traffic", traffic.Traffic.as_view(), name="api-traffic"),
    path("v1/traffic/<uuid:route_id>/look", traffic.Look.as_view(), name="api-traffic-look"),
    path("v1/policy", policy.Policy.as_view(), name="api-policy"),
    path("v1/notices", notices.Notices.as_view(), name="api-notices"),
    path("v1/notices/<uuid:notice_id>/acknowledge", notices.Acknowledge.as_view(), name="api-notice-acknowledge"),
    re_path("", Elsewhere.as_view()),
]
