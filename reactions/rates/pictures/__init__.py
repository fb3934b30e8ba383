"""Pictures of reaction rates: series in, drawings with words and a table out. No database; series.py has the rows.

drawing.py     what a drawing is made of, for the page (SVG) and the printed report alike
limits.py      where chance alone would leave a rate
pooling.py     what is put together so that nothing rests on too few patients
onset.py, over_time.py, lots.py, response.py    one picture each
"""
