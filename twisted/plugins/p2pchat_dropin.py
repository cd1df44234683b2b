"""Tells twistd of our two programs."""

from twisted.application.service import ServiceMaker

from p2pchat.language import tr

peer = ServiceMaker("p2pchat", "p2pchat.tap", tr("Chat between peers, without a chat server."), "p2pchat")

rendezvous = ServiceMaker(
    "p2pchat-rendezvous",
    "p2pchat.rendezvous_tap",
    tr("Lists who is there, so that peers find each other."),
    "p2pchat-rendezvous",
)
