"""The pictures of the documentation: the real program in a real terminal (`make pictures`).

    terminal.py   a terminal of tmux that is typed into and whose screen is read
    drawing.py    a screen as SVG
    project.py    the small project of the pictures, with a scripted model
    scenes.py     what is typed, picture by picture

`python -m tests.pictures [NAME …]` takes them anew and writes `docs/images/NAME.svg`.
"""
