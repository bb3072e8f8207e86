"""What a folder of DAGs may put into XCom, read from the source: nothing is imported or run.

    files -> modules -> tasks -> flow -> engine -> sarif, text
             (names)           (values)  (rules, effects)

`modules` and `tasks` know nothing of XCom's rules; other readers of DAG code can use them alone.
"""
