"""A LangGraph checkpointer on Tradewind's state API."""

from tradewind_langgraph.client import Answer, Request, StateError, Transport, Unavailable, UnknownOutcome
from tradewind_langgraph.saver import ThreadMoved, TradewindSaver

__all__ = ["Answer", "Request", "StateError", "ThreadMoved", "TradewindSaver", "Transport", "Unavailable", "UnknownOutcome"]
