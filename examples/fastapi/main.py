"""A small API that keeps each user's notes: `uvicorn main:app --port 9000`."""

import os
from typing import Dict, List

from fastapi import Body, Depends, FastAPI

from audittrail_auth import AuditTrail, User

auth = AuditTrail(
    url=os.environ["AUDITTRAIL_URL"],
    issuer=os.environ["ISSUER"],
    audience=os.environ.get("AUDIENCE", "audittrail"),
)
app = FastAPI(title="Notes")
notes: Dict[str, List[str]] = {}


@app.get("/notes")
async def list_notes(user: User = Depends(auth.user)):
    return {"username": user.username, "notes": notes.get(user.id, [])}


@app.post("/notes", status_code=204, response_model=None)
async def add_note(text: str = Body(embed=True, max_length=200), user: User = Depends(auth.user)):
    notes[user.id] = [*notes.get(user.id, []), text][-20:]


@app.get("/reports", dependencies=[Depends(auth.role("staff", "admin"))])
async def list_reports():
    return {"users_with_notes": len(notes)}
