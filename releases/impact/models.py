"""Tables of what a change may do to whom: one assessment per submitted revision, and every fact behind it."""

from django.db import models
from django.db.models import Q

from releases.accounts.columns import one_of
from releases.core.errors import Sentence
from releases.core.ids import uuid7
from releases.impact.lenses import Lens, Level, Side


class Assessment(models.Model):
    """Impact × likelihood of one revision, and which of rules and history decided the likelihood."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    subject = models.UUIDField()
    revision_number = models.PositiveIntegerField()
    impact = models.PositiveSmallIntegerField()
    likelihood = models.PositiveSmallIntegerField()
    likelihood_by_rules = models.PositiveSmallIntegerField()
    likelihood_by_history = models.PositiveSmallIntegerField(null=True, blank=True)
    has_little_evidence = models.BooleanField(default=False)
    level = models.CharField(max_length=16)
    assessed_at = models.DateTimeField()

    class Meta:
        ordering = ("-assessed_at", "-id")
        constraints = (
            models.CheckConstraint(
                name="assessment_1_to_4",
                condition=Q(impact__gte=1, impact__lte=4, likelihood__gte=1, likelihood__lte=4),
            ),
            one_of("level", Level, name="assessment_level_is_known"),
        )
        indexes = (models.Index(fields=("subject", "assessed_at"), name="assessment_by_subject"),)

    def __str__(self) -> str:
        return f"{self.subject} {self.level}"


class Factor(models.Model):
    """One computed fact seen through one lens: its points, its sentence, where it comes from and how old it is."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    assessment = models.ForeignKey(Assessment, on_delete=models.CASCADE, related_name="factors")
    position = models.PositiveSmallIntegerField()
    lens = models.CharField(max_length=16)
    code = models.CharField(max_length=32)
    side = models.CharField(max_length=16)
    points = models.PositiveSmallIntegerField()
    text = models.CharField(max_length=300)
    parts = models.JSONField(default=dict, blank=True)
    source = models.CharField(max_length=120)
    seen_at = models.DateTimeField(null=True, blank=True)
    is_known = models.BooleanField(default=True)

    class Meta:
        ordering = ("assessment", "position")
        constraints = (
            models.UniqueConstraint(fields=("assessment", "position"), name="factor_in_order"),
            one_of("lens", Lens, name="factor_lens_is_known"),
            one_of("side", Side, name="factor_side_is_known"),
        )

    def __str__(self) -> str:
        return f"{self.code} {self.points}"

    @property
    def sentence(self) -> Sentence:
        """Return the sentence, to be translated where it is shown."""
        return Sentence(self.text, self.parts)
